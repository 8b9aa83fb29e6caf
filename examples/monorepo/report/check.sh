#!/bin/sh
set -eu
python3 -m unittest discover --start-directory tests
