// `import Foretoken` is all that a user needs: models, tokens, options and events come with it.
@_exported import Checkpoints
@_exported import Constraints
@_exported import Decoding
@_exported import Tokenization
@_exported import Transformers
