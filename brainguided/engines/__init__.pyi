from .contract import Engine as Engine, ExecutorEngine as ExecutorEngine
from .folder.executor import folder_executor as folder_executor
from .folder.worker import serve_folder as serve_folder
from .local import local_pool as local_pool
from .ray.executor import ray_executor as ray_executor
