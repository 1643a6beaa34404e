import Foundation

/// The learning rate by step.
public struct Schedule: Sendable, Equatable, Codable {
  /// How the rate falls after the warm-up.
  public enum Shape: String, Sendable, Codable, CaseIterable {
    /// Not at all.
    case constant
    /// Along a straight line.
    case linear
    /// Along half a cosine wave.
    case cosine
  }

  /// How the rate falls.
  public var shape: Shape
  /// Rate after the warm-up.
  public var peak: Double
  /// Part of the peak that is left in the end, 0 to 1.
  public var floor: Double
  /// Steps in which the rate rises along a straight line.
  public var warmUp: Int
  /// Steps in all.
  public var total: Int

  /// A schedule.
  public init(
    _ shape: Shape = .cosine, peak: Double, floor: Double = 0, warmUp: Int = 0, total: Int
  ) {
    self.shape = shape
    self.peak = peak
    self.floor = floor
    self.warmUp = warmUp
    self.total = total
  }

  /// The rate of step `step`, from 0.
  public func rate(_ step: Int) -> Double {
    if step < warmUp { return peak * Double(step + 1) / Double(warmUp) }
    let span = max(total - warmUp, 1)
    let progress = min(Double(step - warmUp) / Double(span), 1)
    let part =
      switch shape {
      case .constant: 1.0
      case .linear: 1 - progress
      case .cosine: 0.5 * (1 + Foundation.cos(Double.pi * progress))
      }
    return peak * (floor + (1 - floor) * part)
  }
}
