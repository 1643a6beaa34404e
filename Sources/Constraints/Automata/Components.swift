/// Strongly connected components of a graph (Tarjan, 1972), without recursion.
enum Components {
  /// The components that `roots` reach, each after all that it leads to.
  static func find(_ successors: [[Int]], from roots: some Sequence<Int>) -> [[Int]] {
    var search = Search(successors)
    for root in roots where search.order[root] < 0 { search.visit(root) }
    return search.components
  }

  private struct Search {
    let successors: [[Int]]
    var order: [Int]
    var lowest: [Int]
    var isOpen: [Bool]
    var open: [Int] = []
    var components: [[Int]] = []
    private var count = 0

    init(_ successors: [[Int]]) {
      self.successors = successors
      order = Array(repeating: -1, count: successors.count)
      lowest = order
      isOpen = Array(repeating: false, count: successors.count)
    }

    private mutating func begin(_ node: Int) {
      order[node] = count
      lowest[node] = count
      count += 1
      open.append(node)
      isOpen[node] = true
    }

    mutating func visit(_ root: Int) {
      var path: [(node: Int, next: Int)] = [(root, 0)]
      begin(root)
      while let (node, next) = path.last {
        if next < successors[node].count {
          path[path.count - 1].next += 1
          let target = successors[node][next]
          if order[target] < 0 {
            begin(target)
            path.append((target, 0))
          } else if isOpen[target] {
            lowest[node] = min(lowest[node], order[target])
          }
        } else {
          path.removeLast()
          if let parent = path.last?.node { lowest[parent] = min(lowest[parent], lowest[node]) }
          if lowest[node] == order[node] { close(node) }
        }
      }
    }

    private mutating func close(_ node: Int) {
      var component: [Int] = []
      while let last = open.popLast() {
        isOpen[last] = false
        component.append(last)
        if last == node { break }
      }
      components.append(component.reversed())
    }
  }
}
