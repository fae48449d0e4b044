"""Which of many tools a request needs."""
