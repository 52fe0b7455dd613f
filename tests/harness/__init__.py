"""What tests of whole processes stand on: Kafka, the millrace program, waiting with deadlines."""
