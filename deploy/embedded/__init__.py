"""Apache Kafka and PostgreSQL as child processes under one home directory, and the supervisor of `caudal up`."""
