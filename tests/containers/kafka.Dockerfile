# Kafka for the compose file where apache/kafka cannot be pulled: the jars of the development broker,
# with that image's way of being configured (KAFKA_NODE_ID is node.id).
FROM debian:bookworm-slim
RUN apt-get update -q \
 && apt-get install -y -q --no-install-recommends openjdk-17-jre-headless \
 && rm -rf /var/lib/apt/lists/*
COPY jars /jars
COPY start-kafka.sh /
CMD ["sh", "/start-kafka.sh"]
