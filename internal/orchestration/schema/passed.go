package schema

import (
	"crypto/sha256"
	"sync"
)

// passed are schemas that were found to be good: templates and callers bring the same
// ones with every run.
var passed names

// names are hashes of what was met lately, in two generations: when the young one is
// full it becomes the old one, and what nobody met meanwhile is forgotten. The zero
// value is ready for use.
type names struct {
	mu         sync.Mutex
	young, old map[[sha256.Size]byte]struct{}
}

// mostNames is how many there are in a generation.
const mostNames = 1000

func (n *names) has(name [sha256.Size]byte) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, young := n.young[name]; young {
		return true
	}
	_, old := n.old[name]
	if old {
		n.keep(name)
	}
	return old
}

func (n *names) add(name [sha256.Size]byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.keep(name)
}

func (n *names) keep(name [sha256.Size]byte) {
	if n.young == nil || len(n.young) >= mostNames {
		n.young, n.old = make(map[[sha256.Size]byte]struct{}, 16), n.young
	}
	n.young[name] = struct{}{}
}
