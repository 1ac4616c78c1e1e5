"""The workloads, one a file: ten over shared read-only data, three controls that share nothing."""
