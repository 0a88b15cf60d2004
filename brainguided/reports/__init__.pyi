from .live import Address as Address, open_server as open_server
from .model_card import write_model_card as write_model_card
from .page import write_report as write_report
