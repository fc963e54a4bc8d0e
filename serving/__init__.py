"""Model servers: the engines that run one, and the REST and gRPC clients that ask it."""
