package simulator

import (
	"strings"
	"testing"

	openai "github.com/sashabaranov/go-openai"
)

func cachedTokens(t *testing.T, c *openai.Client, req openai.ChatCompletionRequest) int {
	t.Helper()
	return whole(t, c, req).Usage.PromptTokensDetails.CachedTokens
}

func TestPrefixCache(t *testing.T) {
	for _, mode := range []CacheMode{CacheAtOnce, CacheFirstToken} {
		_, c := serve(t, Options{PrefixCache: mode})
		long := strings.Repeat("The same words at the start. ", 400)
		req := ask(long + "One")
		other := req
		other.Model = "another"
		for i, tc := range []struct {
			req      openai.ChatCompletionRequest
			from, to int
		}{
			{req, 0, 0},
			{req, 2816, 2816},
			{ask(long + "Two"), 2816, 2816},
			{ask(long[:8000] + "Three"), 1920, 1920},
			{ask("Not " + long), 0, 0},
			{ask(long[:4000]), 0, 0},
			{other, 0, 0},
			{other, 2816, 2816},
		} {
			if got := cachedTokens(t, c, tc.req); got < tc.from || got > tc.to {
				t.Errorf("mode %d, call %d: %d tokens", mode, i, got)
			}
		}
	}
}

func TestStreamsFillThePrefixCache(t *testing.T) {
	_, c := serve(t, Options{PrefixCache: CacheFirstToken})
	req := ask(strings.Repeat("word ", 2000))
	if _, err := readStream(c, req); err != nil {
		t.Fatal(err)
	}
	if got := cachedTokens(t, c, req); got == 0 {
		t.Error("nothing is cached")
	}
}

func TestNoPrefixCache(t *testing.T) {
	_, c := serve(t, Options{})
	for range 2 {
		if got := cachedTokens(t, c, ask(strings.Repeat("word ", 5000))); got != 0 {
			t.Errorf("%d tokens", got)
		}
	}
}

// Two calls side by side: the second finds the first one's prefix only where
// that counts from its arrival on.
func TestPrefixCountsFromFirstToken(t *testing.T) {
	for mode, want := range map[CacheMode]bool{CacheAtOnce: true, CacheFirstToken: false} {
		inside, leave := make(chan struct{}), make(chan struct{})
		_, c := serve(t, Options{PrefixCache: mode, Answer: func(r Request) (Reply, bool) {
			if r.Index == 0 {
				close(inside)
				<-leave
			}
			return Reply{Text: "done"}, true
		}})
		req := ask(strings.Repeat("word ", 2000))
		first := make(chan error)
		go func() {
			_, err := readStream(c, req)
			first <- err
		}()
		<-inside
		if got := cachedTokens(t, c, req); (got > 0) != want {
			t.Errorf("mode %d: %d tokens while the first call is in flight", mode, got)
		}
		close(leave)
		if err := <-first; err != nil {
			t.Error(err)
		}
	}
}

func TestPrefixCacheIsBounded(t *testing.T) {
	var c prefixCache
	kept := make([]uint64, 10)
	for i := range kept {
		kept[i] = uint64(i)
	}
	for i := range uint64(3 * cacheBlocks) {
		if i%1000 == 0 {
			c.add(kept)
		}
		c.add([]uint64{1 << 32 * (i + 1)})
	}
	if n := len(c.young) + len(c.old); n > 2*cacheBlocks {
		t.Errorf("%d blocks", n)
	}
	if c.cached(kept, false) == 0 {
		t.Error("what was used lately is forgotten")
	}
}
