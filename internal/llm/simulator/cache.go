package simulator

import (
	"hash/crc64"
	"sync"
)

const (
	tokenBytes     = 4
	blockBytes     = 128 * tokenBytes // the grain of the prefix cache
	minCachedBlock = 1024 / 128       // shorter prefixes are not cached
	cacheBlocks    = 1 << 16          // of each of the two generations below
)

var crcTable = crc64.MakeTable(crc64.ECMA)

// A digest hashes a prompt, and remembers the hash at every block's end: the
// names of the prompt's prefixes. crc64 is quick, and enough where nobody
// gains from a collision.
type digest struct {
	sum    uint64
	fill   int // bytes since the last block's end
	blocks []uint64
	mark   bool // whether blocks are wanted
}

func (d *digest) add(text string) {
	for d.mark && d.fill+len(text) >= blockBytes {
		n := blockBytes - d.fill
		d.sum = crc64.Update(d.sum, crcTable, []byte(text[:n]))
		d.blocks = append(d.blocks, d.sum)
		text, d.fill = text[n:], 0
	}
	d.sum = crc64.Update(d.sum, crcTable, []byte(text))
	d.fill += len(text)
}

// A prefixCache knows which blocks of prompts were seen lately. It keeps two
// generations: when the young one is full the old one is dropped, so a block
// that was used within the last cacheBlocks is always known.
type prefixCache struct {
	mu         sync.Mutex
	young, old map[uint64]struct{}
}

// cached returns how many tokens at the start of a prompt are known, and has it known
// from now on if so wished.
func (c *prefixCache) cached(blocks []uint64, know bool) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if know {
		defer c.insert(blocks)
	}
	n := 0
	for _, b := range blocks {
		_, young := c.young[b]
		if _, old := c.old[b]; !young && !old {
			break
		}
		n++
	}
	if n < minCachedBlock {
		return 0
	}
	return n * blockBytes / tokenBytes
}

func (c *prefixCache) add(blocks []uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.insert(blocks)
}

func (c *prefixCache) insert(blocks []uint64) {
	for _, b := range blocks {
		if len(c.young) >= cacheBlocks || c.young == nil {
			c.young, c.old = make(map[uint64]struct{}), c.young
		}
		c.young[b] = struct{}{}
	}
}
