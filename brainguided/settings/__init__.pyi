from .keys import list_keys as list_keys
from .run_file import load_run as load_run
from .schema import build_schema as build_schema
