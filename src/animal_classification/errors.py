"""Every error that this package raises on purpose.

    AnimalsError                  the work failed                       exit code 1
    ├── UsageError                the call was wrong                    exit code 2
    │   └── MissingExtraError     an optional dependency is not installed
    ├── ImageError                one photo cannot be used
    │   ├── ImageNotFoundError    no such file, or it vanished
    │   ├── ImageAccessError      the file is there but may not be read
    │   ├── UnsupportedImageError not a photo, or a format that cannot be read here
    │   ├── CorruptImageError     damaged or cut short
    │   └── ImageTooLargeError    more bytes or pixels than the limits allow
    │       └── ImageMemoryError  more memory to decode than there is for it, here or now
    │           └── HeavyImageError  more than this caller spends on one photo; another may
    ├── BundleError               a model cannot be used
    │   ├── BundleNotFoundError   nothing there
    │   ├── BundleInvalidError    a check failed: hash, schema or shape
    │   └── BundleVersionError    written by a newer version of this package
    ├── EngineError               the inference engine refused
    ├── RegistryError             the model registry cannot be reached, or refuses
    ├── OutputError               a result cannot be written
    └── NeedsPersonError          a person has to decide or label something first    exit code 3

A message is one line: what is wrong, where, and what to do next.
"""

from __future__ import annotations

from animal_classification.install_hint import pip_install


class AnimalsError(Exception):
    """Base of all errors raised on purpose; ``exit_code`` is what the command line ends with."""

    exit_code = 1


class UsageError(AnimalsError):
    """The call itself was wrong: an unknown option value, a path that is not there."""

    exit_code = 2


class MissingExtraError(UsageError):
    """A feature needs an optional dependency that is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        self.feature = feature
        self.extra = extra
        super().__init__(f"{feature} needs an extra: {pip_install(extra)}")


class ImageError(AnimalsError):
    """One photo cannot be used; ``reason`` says why without naming the file.

    Args:
        reason: What is wrong and what to do about it, in one line.
        where: The file's name, or a word such as ``bytes`` when the photo came from memory.
    """

    def __init__(self, reason: str, where: str = "") -> None:
        self.reason = reason
        self.where = where
        super().__init__(f"{where}: {reason}" if where else reason)


class ImageNotFoundError(ImageError):
    """There is no such file (any more)."""


class ImageAccessError(ImageError):
    """The file exists but the system refuses to let it be read."""


class UnsupportedImageError(ImageError):
    """The content is not a photo, or is in a format that cannot be read here."""


class CorruptImageError(ImageError):
    """The content starts like a photo but is damaged or cut short."""


class ImageTooLargeError(ImageError):
    """More bytes or more pixels than the limits allow; refused before decoding."""


class ImageMemoryError(ImageTooLargeError):
    """Decoding takes more memory than there is for it on this machine, or at this moment."""


class HeavyImageError(ImageMemoryError):
    """Decoding costs more than this caller spends on one photo; somebody else may take it up."""


class BundleError(AnimalsError):
    """A model bundle cannot be used."""


class BundleNotFoundError(BundleError):
    """There is no bundle at the place named."""

    exit_code = 2


class BundleInvalidError(BundleError):
    """A bundle failed a check: a hash, the schema, or the shapes of its graph."""


class BundleVersionError(BundleError):
    """A bundle was written by a newer version of this package."""


class EngineError(AnimalsError):
    """The inference engine could not be started or failed."""


class RegistryError(AnimalsError):
    """The model registry cannot be reached, or will not do what was asked."""


class OutputError(AnimalsError):
    """A result could not be written."""


class NeedsPersonError(AnimalsError):
    """The work goes on when a person has decided or labelled something; the message says what."""

    exit_code = 3
