import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Watches one connection: closes it if a request does not come, or an answer is not taken, in time,
/// and tells when the client has gone.
///
/// Deadlines are for whole heads and bodies, so that a byte now and then does not move them.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPRequestPart
  typealias InboundOut = HTTPRequestPart
  typealias OutboundIn = HTTPResponsePart
  typealias OutboundOut = HTTPResponsePart

  /// The times of `ServerOptions`.
  struct Times: Sendable {
    var head: TimeAmount
    var body: TimeAmount
    var write: TimeAmount
  }

  private let connections: Connections
  private let times: Times
  private var readDeadline: Scheduled<Void>?
  private var writeDeadline: Scheduled<Void>?
  /// Requests that were read and are not answered.
  private var unanswered = 0
  private var unwritten = 0
  private var closesAfterResponse = false

  init(connections: Connections, times: Times) {
    self.connections = connections
    self.times = times
  }

  func handlerAdded(context: ChannelHandlerContext) {
    guard context.channel.isActive else { return }
    begin(context)
  }

  func channelActive(context: ChannelHandlerContext) {
    begin(context)
    context.fireChannelActive()
  }

  private func begin(_ context: ChannelHandlerContext) {
    connections.opened(context.channel)
    expectRead(within: times.head, context)
  }

  func channelInactive(context: ChannelHandlerContext) {
    readDeadline?.cancel()
    writeDeadline?.cancel()
    connections.clientLeft(context.channel, isClosed: true)
    context.fireChannelInactive()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case ChannelEvent.inputClosed? = event as? ChannelEvent {
      connections.clientLeft(context.channel, isClosed: false)
      // Half of a request will not become a whole one.
      if unanswered == 0 { context.close(promise: nil) }
    }
    context.fireUserInboundEventTriggered(event)
  }

  // MARK: Reading

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head:
      unanswered += 1
      expectRead(within: times.body, context)
    case .body: break
    case .end: readDeadline?.cancel()
    }
    context.fireChannelRead(data)
  }

  private func expectRead(within time: TimeAmount, _ context: ChannelHandlerContext) {
    readDeadline?.cancel()
    let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
    readDeadline = context.eventLoop.scheduleTask(in: time) { bound.value.close(promise: nil) }
  }

  // MARK: Writing

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    let part = unwrapOutboundIn(data)
    if case .head(let head) = part, head.headerFields[.connection] == "close" {
      closesAfterResponse = true
    }
    let isLast = if case .end = part { true } else { false }
    let written = promise ?? context.eventLoop.makePromise(of: Void.self)
    unwritten += 1
    if writeDeadline == nil { expectWrite(context) }
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    written.futureResult.whenComplete { _ in
      bound.value.0.wrote(bound.value.1, isLast: isLast)
    }
    context.write(data, promise: written)
  }

  private func wrote(_ context: ChannelHandlerContext, isLast: Bool) {
    unwritten -= 1
    writeDeadline?.cancel()
    writeDeadline = nil
    if unwritten > 0 { expectWrite(context) }
    guard isLast else { return }
    unanswered = max(unanswered - 1, 0)
    if closesAfterResponse { return context.close(promise: nil) }
    if unanswered == 0 { expectRead(within: times.head, context) }
  }

  private func expectWrite(_ context: ChannelHandlerContext) {
    let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
    writeDeadline = context.eventLoop.scheduleTask(in: times.write) {
      bound.value.close(promise: nil)
    }
  }
}
