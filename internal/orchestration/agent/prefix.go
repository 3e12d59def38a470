package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"github.com/tutti-run/tutti/internal/llm"
)

// distinctBytes is how much of a prompt tells whether it begins like others: no
// provider keeps a prefix of less than 1,024 tokens, so those that differ so early
// have nothing to share.
const distinctBytes = 1 << 10

// prefixKey names what a request begins with, among those of the run: its tools and
// the form of its answer, which for providers come before the messages, and the first
// of its text. It tells nobody anything of them.
func (p *performance) prefixKey(request *llm.Request) string {
	var b bytes.Buffer
	b.Grow(distinctBytes + 256)
	b.WriteString(p.Run + "\x00" + request.Model + "\x00")
	for _, tool := range request.Tools {
		b.WriteString(tool.Name + "\x00")
	}
	if request.Schema != nil {
		b.Write(request.Schema.JSON)
	}
	left := distinctBytes
	for _, m := range request.Messages {
		text := m.Text[:min(len(m.Text), left)]
		b.WriteByte(0)
		b.WriteString(text)
		left -= len(text)
	}
	sum := sha256.Sum256(b.Bytes())
	return hex.EncodeToString(sum[:8])
}

// Of prefixes that calls wait for.
const (
	leastPrefix = 1024             // tokens of a prompt: no provider keeps less
	maxStagger  = 10 * time.Second // of waiting: time to read a prompt, and some more
	prefixKept  = 4 * time.Minute  // without use: a little less than providers keep one
	maxPrefixes = 1000             // remembered
)

// prefixes knows which beginnings of prompts providers are at work on, or have kept.
// It is about time alone: what it forgets is waited for once more.
type prefixes struct {
	mu    sync.Mutex
	known map[string]*prefix // by CacheKey
}

// A prefix is led by one call until that is being answered, or has failed.
type prefix struct {
	settled chan struct{} // closed when nobody leads any more
	kept    time.Time     // until when the provider is likely to have it; zero while somebody leads
}

// join returns nil where the provider has the prefix of that key, otherwise the
// prefix and whether the caller is to lead, and must settle it.
func (ps *prefixes) join(key string) (p *prefix, leads bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	now := time.Now()
	p = ps.known[key]
	switch {
	case p != nil && p.kept.IsZero():
		return p, false
	case p != nil && now.Before(p.kept):
		p.kept = now.Add(prefixKept)
		return nil, false
	}
	if ps.known == nil || len(ps.known) >= maxPrefixes {
		ps.known = map[string]*prefix{}
	}
	p = &prefix{settled: make(chan struct{})}
	ps.known[key] = p
	return p, true
}

// settle says whether the provider has a prefix now: then those who wait for it go,
// and otherwise one of them leads. Only the first word counts.
func (ps *prefixes) settle(key string, p *prefix, has bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	select {
	case <-p.settled:
		return
	default:
	}
	if has {
		p.kept = time.Now().Add(prefixKept)
	} else if ps.known[key] == p {
		delete(ps.known, key)
	}
	close(p.settled)
}

// follow waits until the provider has the prefix of that key, but no longer than
// maxStagger, and returns nil; or the prefix that the caller must lead. It fails only
// when ctx ends.
func (ps *prefixes) follow(ctx context.Context, key string) (*prefix, error) {
	enough := time.NewTimer(maxStagger)
	defer enough.Stop()
	for {
		p, leads := ps.join(key)
		if p == nil || leads {
			return p, nil
		}
		select {
		case <-p.settled:
		case <-enough.C:
			return nil, nil //nolint:nilnil // there is nothing to lead
		case <-ctx.Done():
			return nil, llm.Ended(ctx)
		}
	}
}

// send makes a call of the conversation. Where the model's provider keeps a prefix
// only once it answers, the first call of a worker waits until another one that begins
// alike is being answered. It has no slot meanwhile, and its time does not run.
func (d *dialog) send(ctx context.Context, request *llm.Request) (*llm.Response, error) {
	if !d.p.model.Stagger || d.p.role != llm.Worker || d.number > 1 || spentOn(request) < leastPrefix {
		return d.p.client.Chat(ctx, request)
	}
	first, err := d.p.prefixes.follow(ctx, request.CacheKey)
	switch {
	case err != nil:
		return nil, err
	case first == nil:
		return d.p.client.Chat(ctx, request)
	}
	return d.lead(ctx, request, first)
}

// lead makes the call that others wait for, streamed so that its first token is seen.
func (d *dialog) lead(ctx context.Context, request *llm.Request, first *prefix) (*llm.Response, error) {
	settle := func(has bool) { d.p.prefixes.settle(request.CacheKey, first, has) }
	defer settle(false) // unless it went well
	show := request.OnText
	request.Stream, request.OnText = true, func(text string) {
		settle(true)
		if show != nil {
			show(text)
		}
	}
	resp, err := d.p.client.Chat(ctx, request)
	if err == nil {
		settle(true)
	}
	return resp, err
}
