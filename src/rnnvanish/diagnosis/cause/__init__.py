"""Why a layer keeps or loses its gradient."""

from rnnvanish.deprecated import forward

forward(__name__)
