"""Programs for the environment of published clients and servers: none of them knows of Caracal."""
