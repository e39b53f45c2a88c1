"""Every project that gatewright is tried on."""

from dotenv_changes import DOTENV
from humanize_changes import HUMANIZE
from process_warning_changes import PROCESS_WARNING, PROCESS_WARNING_BY_TEST
from sqlparse_changes import SQLPARSE
from structlog_changes import STRUCTLOG
from tabulate_changes import TABULATE

PROJECTS = (HUMANIZE, STRUCTLOG, TABULATE, SQLPARSE, DOTENV, PROCESS_WARNING, PROCESS_WARNING_BY_TEST)
