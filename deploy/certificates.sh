#!/bin/sh
# certificates.sh FOLDER CLUSTER API-NAMES: makes a CA, certificates of a cluster's coordinators and
# workers, and one of its API (DNS:name,IP:address,...), each as NAME.crt and NAME.key, and a file of
# tokens. What is there stays.
# SPDX-License-Identifier: Apache-2.0
set -eu
folder=$1
cluster=$2
api=$3
umask 077
mkdir -p "$folder"
cd "$folder"
key="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"

if [ ! -e ca.crt ]; then
  # shellcheck disable=SC2086
  openssl req -x509 $key -days 3650 -subj /CN=millrace-ca -keyout ca.key -out ca.crt
fi
certificate() { # NAME NAMES
  if [ -e "$1.crt" ]; then return; fi
  # shellcheck disable=SC2086
  openssl req $key -subj "/CN=$1" -keyout "$1.key" -out "$1.csr"
  echo "subjectAltName=$2" > "$1.names"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 \
    -extfile "$1.names" -out "$1.crt"
  rm "$1.csr" "$1.names"
}
certificate coordinator "DNS:coordinator.$cluster.millrace"
certificate worker "DNS:worker.$cluster.millrace"
certificate api "$api"

if [ ! -e tokens ]; then
  printf 'admin operator %s\ndashboard viewer %s\n' "$(openssl rand -hex 24)" "$(openssl rand -hex 24)" > tokens
fi
