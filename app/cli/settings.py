"""Settings as the commands take them: flags over environment over file."""

from pydantic import ValidationError
from pydantic_settings import SettingsError

from app.cli.failures import fail
from app.settings import Settings


def load_settings(**given: object) -> Settings:
    """The settings from flags, environment and file; ends the program with what is wrong."""
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [
            f"COLLECTOR_{'__'.join(map(str, part['loc'])).upper()}: {part['msg']}"
            if part["loc"]
            else part["msg"]
            for part in error.errors()
        ]
        fail("these settings cannot be used:\n  " + "\n  ".join(lines), code=2)
    except SettingsError as error:  # what should be JSON and is none; it does not say what it is
        fail(f"these settings cannot be used: {error}", code=2)
    except OSError as error:
        fail(f"a settings file cannot be read: {error}", code=2)
