extension Tensor {
  /// Runs a part of a network without keeping what happens inside it: `backward()` runs it again.
  /// Memory is that of the inputs and the result, time one more forward pass.
  ///
  /// - Parameters:
  ///   - inputs: everything that `body` uses, parameters excepted.
  ///   - body: a function of its arguments and of parameters, the same each time it is called; leaves
  ///     it uses get their gradients as ever.
  public static func checkpointed(
    _ inputs: [Tensor], parameters: [Tensor] = [], _ body: @escaping ([Tensor]) -> Tensor
  ) -> Tensor {
    let leaves = {
      inputs.map { Tensor($0.values, shape: $0.shape, requiresGradient: $0.requiresGradient) }
    }
    let first = body(leaves())
    return Tensor(first.values, shape: first.shape, inputs: inputs + parameters) { gradient in
      let again = leaves()
      body(again).backward(gradient)
      for (input, leaf) in zip(inputs, again) {
        if let gradient = leaf.gradient { input.accumulate(gradient) }
      }
    }
  }
}
