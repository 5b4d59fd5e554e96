"""The report: answers drawn on one self-contained HTML page."""
