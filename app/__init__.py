"""The Edges collector: the callback URL for bulk runs of Edges actions."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("edges-collector")
except PackageNotFoundError:  # run from a checkout that was never installed
    __version__ = "0.0.0"
