"""Why a layer keeps or loses its gradient."""
