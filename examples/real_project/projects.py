"""Every project that gatewright is tried on."""

from dotenv_changes import DOTENV
from humanize_changes import HUMANIZE
from process_warning_changes import PROCESS_WARNING, PROCESS_WARNING_BY_TEST
from sqlparse_changes import SQLPARSE, SQLPARSE_RED
from structlog_changes import STRUCTLOG
from tabulate_changes import TABULATE, TABULATE_RED

PROJECTS = (
    *(HUMANIZE, STRUCTLOG, TABULATE, TABULATE_RED, SQLPARSE, SQLPARSE_RED, DOTENV),
    *(PROCESS_WARNING, PROCESS_WARNING_BY_TEST),
)
