"""Why a target differs: known causes are put to the test, and the one that explains the answers is named."""
