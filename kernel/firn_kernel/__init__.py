"""The firn Jupyter kernel: `python -m firn_kernel -f {connection_file}`, `python -m firn_kernel install`.

The C++ half (`firn_kernel._kernel`) owns sockets, wire format and streams; this half is the Python of it: the shell on
top of IPython, the event loop that runs cells, and the answers to requests. Nothing is imported here, so that
`__main__` can take SIGINT over before anything takes time.
"""
