"""Routers against users who react: fitted, chosen and compared exactly."""
