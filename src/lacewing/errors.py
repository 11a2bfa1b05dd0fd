"""Every exception that lacewing raises on purpose.

    LacewingError              exit code 1: something of ours, or of the machine's
    ├── TrainingError          training can't go on (a loss that stays non-finite, say)
    ├── DeviceLostError        a device that passed its test stopped working
    ├── GroupError             the processes of one training lost or never met each other
    │   └── ToldError          another of them failed, and says why
    └── UserError              exit code 2: what was asked for can't be done
        ├── ConfigError        a flag, a field of a file, a combination of them
        ├── DataError          images, labels, splits, archives
        ├── DeviceError        the device asked for is not here, or failed its test
        ├── ModelError         no network of that name, or not with these settings
        ├── WeightsError       weights are missing, unreadable or of another network
        ├── PlanError          a plan file that can't be read or obeyed
        ├── RunError           a run folder that is missing, damaged or in use
        └── MissingExtraError  an optional dependency is not installed

A message is one sentence or two: what is wrong, where, and what to do about it.
"""


class LacewingError(Exception):
    """The root. Its text is fit to be shown to the user as it is."""

    exit_code = 1


class TrainingError(LacewingError):
    """Training can't go on."""


class DeviceLostError(LacewingError):
    """A device that passed its test stopped working."""


class GroupError(LacewingError):
    """The processes of one training never met, or lost each other."""


class ToldError(GroupError):
    """Another process of the training failed; that one says why, so nobody needs to again."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class UserError(LacewingError):
    """What was asked for can't be done; the text says what would."""

    exit_code = 2


class ConfigError(UserError):
    """A flag, a field of a configuration file, or a combination of them."""


class DataError(UserError):
    """Images, labels, splits or archives."""


class DeviceError(UserError):
    """The device asked for is not here, or failed its test."""


class ModelError(UserError):
    """No network of that name, or not with these settings."""


class WeightsError(UserError):
    """Weights are missing, unreadable, or belong to another network."""


class PlanError(UserError):
    """A plan file that can't be read or obeyed."""


class RunError(UserError):
    """A run folder that is missing, damaged or in use."""


class MissingExtraError(UserError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs {package}, which is not installed: "
            f'run `pip install "lacewing[{extra}]"`.'
        )
