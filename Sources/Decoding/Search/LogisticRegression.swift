import Foundation

/// Logistic regression on one feature: P(y = 1 | x) = 1 / (1 + e^-(intercept + slope x)).
struct LogisticRegression: Equatable {
  /// b0.
  var intercept: Double
  /// b1.
  var slope: Double

  /// One observation.
  struct Sample {
    var feature: Double
    var isPositive: Bool
    var weight = 1.0
  }

  init(intercept: Double, slope: Double) {
    self.intercept = intercept
    self.slope = slope
  }

  /// Maximises the weighted likelihood by Newton's method, steps halved where they overshoot.
  ///
  /// - Parameters:
  ///   - ridge: a small pull of the coefficients to 0, which keeps them finite where the classes do
  ///     not overlap.
  /// - Returns: nil if there are not samples of both classes.
  init?(fitting samples: [Sample], ridge: Double = 1e-6) {
    guard samples.contains(where: \.isPositive), samples.contains(where: { !$0.isPositive })
    else { return nil }
    var model = LogisticRegression(intercept: 0, slope: 0)
    var loss = model.loss(samples, ridge)
    for _ in 0..<100 {
      let step = model.newtonStep(samples, ridge)
      var share = 1.0
      var next = model
      var nextLoss = Double.infinity
      while share > 1e-10 {
        next = LogisticRegression(
          intercept: model.intercept + share * step.intercept,
          slope: model.slope + share * step.slope)
        nextLoss = next.loss(samples, ridge)
        if nextLoss <= loss { break }
        share /= 2
      }
      guard nextLoss <= loss else { break }
      let isDone = loss - nextLoss < 1e-12 * max(abs(loss), 1)
      (model, loss) = (next, nextLoss)
      if isDone { break }
    }
    self = model
  }

  func probability(_ feature: Double) -> Double {
    1 / (1 + exp(-(intercept + slope * feature)))
  }

  /// The feature at which the probability is `probability`.
  func feature(atProbability probability: Double) -> Double {
    (log(probability / (1 - probability)) - intercept) / slope
  }

  private func loss(_ samples: [Sample], _ ridge: Double) -> Double {
    samples.reduce(ridge * (intercept * intercept + slope * slope) / 2) { sum, sample in
      let score = intercept + slope * sample.feature
      // log(1 + e^-z) without overflow.
      let signed = sample.isPositive ? score : -score
      let surprise = signed > 0 ? log1p(exp(-signed)) : log1p(exp(signed)) - signed
      return sum + sample.weight * surprise
    }
  }

  private func newtonStep(_ samples: [Sample], _ ridge: Double) -> LogisticRegression {
    var gradient = (-ridge * intercept, -ridge * slope)
    var hessian = (ridge, 0.0, ridge)
    for sample in samples {
      let p = probability(sample.feature)
      let error = sample.weight * ((sample.isPositive ? 1 : 0) - p)
      gradient.0 += error
      gradient.1 += error * sample.feature
      let curvature = sample.weight * p * (1 - p)
      hessian.0 += curvature
      hessian.1 += curvature * sample.feature
      hessian.2 += curvature * sample.feature * sample.feature
    }
    let determinant = hessian.0 * hessian.2 - hessian.1 * hessian.1
    guard determinant > 0 else { return LogisticRegression(intercept: 0, slope: 0) }
    return LogisticRegression(
      intercept: (hessian.2 * gradient.0 - hessian.1 * gradient.1) / determinant,
      slope: (hessian.0 * gradient.1 - hessian.1 * gradient.0) / determinant)
  }
}
