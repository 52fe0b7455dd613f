#!/bin/sh
# collect-root.sh INSTALLED ROOT: lays out the root of the image: the installed programs in
# /usr/local, every library that they load, and the files that those read while running.
# SPDX-License-Identifier: Apache-2.0
set -eu
installed=$1
root=$2
mkdir -p "$root/usr/share" "$root/etc/ssl/certs"
cp -a "$installed" "$root/usr/local"

ldd "$installed"/bin/* "$installed"/lib/millrace/* > libraries.txt
if grep 'not found' libraries.txt; then exit 1; fi
# Those of the installed tree are found beside the programs, wherever it lies.
grep -o '/[^ ]*' libraries.txt | sed 's/:$//' | grep -v "^$installed/" | sort -u | while read -r library; do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done

cp -a /usr/share/zoneinfo "$root/usr/share/zoneinfo"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
echo 'nobody:x:65534:65534:nobody:/:/usr/sbin/nologin' > "$root/etc/passwd"
echo 'nogroup:x:65534:' > "$root/etc/group"
# Without it names of /etc/hosts would be asked of DNS first.
echo 'hosts: files dns' > "$root/etc/nsswitch.conf"
