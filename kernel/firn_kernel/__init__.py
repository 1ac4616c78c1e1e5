"""The firn Jupyter kernel."""
