"""What can go wrong, by kind. Each message is one sentence: which input, what is wrong, what would do."""


class ShowtellError(Exception):
    """Everything that showtell raises on purpose."""


class InputError(ShowtellError, ValueError):
    """An input or an option that cannot be used as it is."""


class MediaError(InputError):
    """A file or a buffer that cannot be read as the medium it should be."""


class ModelError(ShowtellError):
    """A saved model that is missing, damaged, of another task, or of a later format."""


class JobError(ShowtellError):
    """A batch job that cannot start or go on."""


class MissingExtraError(ShowtellError, ImportError):
    """A part of showtell whose libraries are not installed; the message names the extra that brings them."""
