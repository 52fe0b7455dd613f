"""The pipelines of jobs/, from Kafka to their last outputs, killed on the way."""
