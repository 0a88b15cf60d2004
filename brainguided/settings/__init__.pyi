from .run_file import load_run as load_run
