#!/bin/sh
# Settings from KAFKA_*, a new folder, and Kafka in place of this shell.
set -eu
env | grep '^KAFKA_' | while IFS='=' read -r name value; do
  echo "$(echo "${name#KAFKA_}" | tr 'A-Z_' 'a-z.')=$value"
done > /server.properties
echo log.dirs=/kafka >> /server.properties
java -cp '/jars/*' kafka.tools.StorageTool format -t AAAAAAAAAAAAAAAAAAAAAA -c /server.properties
exec java -Xmx512m -cp '/jars/*' kafka.Kafka /server.properties
