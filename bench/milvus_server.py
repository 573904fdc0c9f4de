"""Runs the Milvus standalone server of the PyPI package `milvus` over a folder until standard input closes."""

import sys

from milvus import MilvusServer

server = MilvusServer()
server.set_base_dir(sys.argv[1])
server.listen_port = int(sys.argv[2])
server.start()
print(f"ready {server.listen_port} {server.server_proc.pid}", flush=True)
sys.stdin.read()
server.stop()
