"""Why a model server answers otherwise than the trained model: found by asking it differently."""
