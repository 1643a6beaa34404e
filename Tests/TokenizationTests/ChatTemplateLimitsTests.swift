import Foundation
import TestSupport
import Testing
import Tokenization

/// Templates that never end, recurse or grow without bound.
@Suite("Chat templates that run away")
struct ChatTemplateLimitsTests {
  /// The error of a rendering, on a thread with as little stack as any that will ever run it.
  private func limit(_ source: String) throws -> ChatTemplateError? {
    let template = try ChatTemplate(source: source)
    let result = OnThread<Result<String, any Error>>.run {
      Result { try template.render(variables: [("one", 1)]) }
    }
    switch result {
    case .failure(let error as ChatTemplateError): return error
    default: return nil
    }
  }

  @Test(
    "time, memory and recursion have an end",
    arguments: [
      "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
      "{% for a in range(1000000000000) %}{% endfor %}",
      "{{ range(-9223372036854775807, 9223372036854775807)|list }}",
      "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
      "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
      "{% macro m(x) %}{{ m([x, x|list]) if true }}{% endmacro %}{{ m([]) }}",
      "{% set ns = namespace(t='xx') %}{% for i in range(100) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}",
      "{% set ns = namespace(t=[1]) %}{% for i in range(100) %}{% set ns.t = ns.t + ns.t %}{% endfor %}",
      "{{ 'x' * 1000000000000 }}", "{{ [1] * 1000000000000 }}", "{{ 'x'.zfill(1000000000000) }}",
      "{{ 'a'|indent(1000000000000, true) }}", "{{ [1, 2]|batch(1000000000, 0) }}",
      "{{ ('x' * 10000000)|replace('x', 'y' * 10000000) }}",
      "{% set l = [1] %}{% for i in l %}{% do l.append(1) %}{% for j in range(999999) %}{% endfor %}{% endfor %}{% for i in range(999999) %}{% for i in range(999999) %}{% endfor %}{% endfor %}",
      "{% set l = [] %}{% do l.append(l) %}{{ l }}",
      "{% set l = [] %}{% do l.append(l) %}{{ l|tojson }}",
      "{% set l = [] %}{% do l.append(l) %}{% set m = [] %}{% do m.append(m) %}{{ l == m }}",
      "{% set ns = namespace(x=[]) %}{% for i in range(1000000) %}{% set ns.x = [ns.x] %}{% endfor %}",
      "{% set ns = namespace(x=()) %}{% for i in range(1000000) %}{% set ns.x = (ns.x,) %}{% endfor %}",
      "{% set ns = namespace(x=0) %}{% for i in range(1000000) %}{% set ns.x = {'k': ns.x} %}{% endfor %}",
      "{% set ns = namespace(x=0) %}{% for i in range(1000000) %}{% set ns.x = cycler(ns.x) %}{% endfor %}",
    ])
  func stops(source: String) throws {
    #expect(try limit(source)?.kind == .limit, "\(source)")
  }

  @Test("a chain that grows at its inner end is released without deep recursion")
  func innerGrowth() throws {
    let source = """
      {% set root = [] %}{% set ns = namespace(end=root) %}
      {% for i in range(300000) %}{% set next = [] %}{% do ns.end.append(next) %}\
      {% set ns.end = next %}{% endfor %}{{ root|length }}
      """
    #expect(try limit(source) == nil)
  }

  @Test(
    "source that nests without end is refused when it is parsed",
    arguments: [
      String(repeating: "(", count: 100_000), String(repeating: "[", count: 100_000),
      String(repeating: "-", count: 100_000), String(repeating: "not ", count: 100_000),
      String(repeating: "1 if 1 else ", count: 100_000), String(repeating: "a[", count: 100_000),
      String(repeating: "f(", count: 100_000), String(repeating: "{1:", count: 100_000),
    ])
  func nestedSource(expression: String) {
    let error = OnThread.run { [expression] in
      #expect(throws: ChatTemplateError.self) {
        try ChatTemplate(source: "{{ " + expression + " }}")
      }
    }
    #expect(error?.kind == .syntax)
  }

  @Test("long chains of operators are no nesting")
  func longChains() throws {
    for (part, count) in [(" + 1", 20_000), ("|abs", 20_000), (" and 1", 20_000), (" * 1", 20_000)]
    {
      let source = "{{ 1" + String(repeating: part, count: count) + " }}"
      #expect(
        OnThread.run { (try? ChatTemplate(source: source).render(variables: []))?.isEmpty } == false
      )
    }
    let nested =
      String(repeating: "{% if one %}", count: 60) + "x"
      + String(repeating: "{% endif %}", count: 60)
    #expect(
      OnThread.run { try? ChatTemplate(source: nested).render(variables: [("one", 1)]) } == "x")
  }

  @Test("a macro may recurse as deep as real templates do")
  func recursionWithinBounds() throws {
    let source = "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{% endif %}.{% endmacro %}{{ m(30) }}"
    #expect(
      OnThread.run { try? ChatTemplate(source: source).render(variables: []) }
        == String(repeating: ".", count: 31))
  }

  @Test("limits of the caller are kept")
  func callerLimits() throws {
    let template = try ChatTemplate(source: "{% for i in range(100) %}xxxxxxxxxx{% endfor %}")
    #expect(throws: Never.self) { try template.render(variables: []) }
    for limits in [ChatTemplate.Limits(steps: 50), .init(textBytes: 999), .init(depth: 1)] {
      let error = #expect(throws: ChatTemplateError.self) {
        try template.render(variables: [], limits: limits)
      }
      #expect(error?.kind == .limit)
    }
  }

  @Test("random mutations of a template never trap or hang")
  func mutations() throws {
    let seed = Array(
      """
      {%- macro m(a, b=2) -%}{{ a ~ b }}{%- endmacro -%}{% set ns = namespace(x=1) %}
      {% for k, v in {'a': 1, 'b': [1, 2.5]}.items() if v %}{{ loop.index }}{{ k|upper|replace('A', 'b') }}
      {{ v[0:1] if v is iterable else v // 2 }}{% set ns.x = ns.x * 3 %}{% endfor %}{# c #}
      {% raw %}{{ x }}{% endraw %}{{ m(ns.x, b='é'.split('')) }}{{ [3, 1]|sort|join(', ')|tojson(indent=2) }}
      """.utf8)
    var random = SeededGenerator(seed: 21)
    var rendered = 0
    for _ in 0..<4000 {
      var bytes = seed
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let index = bytes.indices.randomElement(using: &random) ?? 0
        switch Int.random(in: 0...3, using: &random) {
        case 0: bytes[index] = UInt8.random(in: 0x20...0x7E, using: &random)
        case 1: bytes.remove(at: index)
        case 2: bytes.insert(bytes.randomElement(using: &random) ?? 0, at: index)
        default:
          let other = bytes.indices.randomElement(using: &random) ?? 0
          bytes.replaceSubrange(min(index, other)..<max(index, other), with: [])
        }
      }
      let source = String(decoding: bytes, as: UTF8.self)
      let limits = ChatTemplate.Limits(steps: 100_000, textBytes: 1 << 20)
      let text = try? ChatTemplate(source: source).render(variables: [], limits: limits)
      if text != nil { rendered += 1 }
    }
    #expect(rendered > 20)
  }
}

/// Runs work on a thread with 512 KiB of stack, the least that a Swift task can get on any platform.
private enum OnThread<Result: Sendable> {
  private final class Box: @unchecked Sendable {
    // Written by the thread before it signals, read after the wait.
    var result: Result?
  }

  static func run(_ body: @escaping @Sendable () -> Result) -> Result {
    let box = Box()
    let done = DispatchSemaphore(value: 0)
    let thread = Thread {
      box.result = body()
      done.signal()
    }
    thread.stackSize = 512 << 10
    thread.start()
    done.wait()
    return box.result ?? body()
  }
}
