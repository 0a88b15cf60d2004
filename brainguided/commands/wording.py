"""Messages of the Python interface in words of the command line."""

from __future__ import annotations

# What a message says to users of Python, and what one says on the command line; the longer first.
OPTIONS = (
    ("select_complete(recording, keep='sites')", "'brainguided select --shared'"),
    ("select_complete(recording, keep='stimuli')", "'brainguided select --complete'"),
    ("select_complete(recording)", "'brainguided select --complete'"),
    ("Use keep='sites'", "Use --shared"),
    ("Use keep='stimuli'", "Use --complete"),
    (
        "stimuli.sel(stimulus=...) and, for a recording, select_recording(recording, stimulus=...)",
        "'brainguided select --stimuli NAMES.txt' for the recording, and for the images a --table "
        "of these names with --subset ('brainguided import images')",
    ),
    ("select_recording(recording, stimulus=...)", "'brainguided select --stimuli NAMES.txt'"),
    ("select_recording(recording, site=...)", "'brainguided select --sites NAMES.txt'"),
    ("select_recording(recording, area=...)", "'brainguided select --area AREA'"),
    ("select_recording(...)", "'brainguided select'"),
    (
        "average_window(recording, start, end)",
        "'brainguided select --window START END' (window = [START, END] in a [[teacher]] table)",
    ),
    ("with average_window", "with 'brainguided select --window'"),
    (
        "name it with recording.assign_coords(animal=('site', [...]))",
        "name one for each file with --animals, where no file names one",
    ),
    (
        "pool_recordings puts animals side by side, or "
        "recording.assign_coords(animal=('site', [...]))",
        "'brainguided pool' puts animals side by side, and takes --animals",
    ),
    ("stimuli='shared'", "--stimuli shared"),
    ("stimuli='all'", "--stimuli all"),
    ("stimuli='apart'", "--stimuli apart"),
    ("with the same size=, see read_stimuli", "with the same --size"),
    ("with assign_coords(stimulus=...)", "in the file they were imported from"),
    ("subset=True (--subset)", "--subset"),
    ("unverified=True (--unverified)", "--unverified"),
    ("Choose other files=, or", "Choose another --session, or"),
    ("give its folder as mirror= (--from)", "give its folder with --from"),
    ("per_repetition=False reads them", "leave out --per-repetition"),
    ("Use per_repetition=False", "Leave out --per-repetition"),
    ("area='IT'", "--area IT"),
    ("by='...'", "--by"),
    ("Draw stimuli (resample=('stimulus',))", "Draw stimuli (--resample stimulus)"),
    ("set Inference(unit='stimulus')", "give --unit stimulus"),
    ("unit='stimulus'", "--unit stimulus"),
    ("set draws=0", "give --draws 0"),
    ("with different_tasks=True", "with --different-tasks"),
    ("nearest=True, or --nearest", "--nearest"),
    ("--out or out=", "--out"),
    ("Name table and stimulus_column", "Name --table and --stimulus-column"),
    ("give stimulus_column", "give --stimulus-column"),
    ("as stimulus_column", "with --stimulus-column"),
    ("give onset_column", "give --onset-column"),
    ("if any, as group=", "if any, with --group"),
    ("use load_recording", "it needs no import"),
    ("drop the coordinate of the recording with drop_vars", "'brainguided select --drop' it"),
)
_DROP = "leave it out with drop_vars('"


def say_as_options(message: str) -> str:
    """Return a message whose advice is about options instead of arguments of functions."""
    for python, option in OPTIONS:
        message = message.replace(python, option)
    while _DROP in message:
        before, _, rest = message.partition(_DROP)
        name, _, after = rest.partition("')")
        message = f"{before}leave it out with 'brainguided select --drop {name}'{after}"
    return message
