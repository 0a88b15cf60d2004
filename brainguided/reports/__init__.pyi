from .brainscore_plugin import write_brainscore_plugin as write_brainscore_plugin
from .live import Address as Address, open_server as open_server
from .model_card import write_model_card as write_model_card
from .optuna_study import write_optuna_study as write_optuna_study
from .page import write_report as write_report
from .tensorboard_events import write_tensorboard_events as write_tensorboard_events
