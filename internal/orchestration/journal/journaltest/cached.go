package journaltest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
)

// CacheBytes is the bound of the cache of a journal that is tested.
const CacheBytes = 4096

// cachedFor returns what the tenant acme may use for an hour.
func cachedFor(key, output string) orchestration.Cached {
	return orchestration.Cached{Tenant: "acme", Key: key, Output: output, Expires: Epoch.Add(time.Hour)}
}

// caching appends a run that adds to the cache.
func caching(t *testing.T, j journal.Journal, run string, rows ...orchestration.Cached) {
	t.Helper()
	c := single(orchestration.Row{ID: run, Tenant: rows[0].Tenant, Status: orchestration.StatusFailed, CreatedAt: Epoch})
	c.Cached = rows
	appendAll(t, j, c)
}

// wantCached reads what a tenant's cache has under keys: "-" is nothing.
func wantCached(t *testing.T, j journal.Journal, tenant string, now time.Time, want map[string]string) {
	t.Helper()
	for key, output := range want {
		got, ok, err := j.Cached(t.Context(), tenant, key, now)
		if !ok && got == "" {
			got = "-"
		}
		if got != output || err != nil {
			t.Errorf("%.20q of %s: %.40q (%d bytes), error %v; want %.40q (%d bytes)", key, tenant, got, len(got), err, output, len(output))
		}
	}
}

func testCached(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	commits := Story("acme", "run_1")
	appendAll(t, j, commits[0])
	end := Epoch.Add(time.Hour)
	wantCached(t, j, "acme", Epoch, map[string]string{Text: "-"})

	// What is not appended is not kept.
	late := Story("acme", "run_1")[4]
	late.Cached = []orchestration.Cached{cachedFor("k", "refused")}
	wantErr(t, "append from where the run is not", j.Append(ctx, late), orchestration.ErrConflict)
	wantCached(t, j, "acme", Epoch, map[string]string{"k": "-"})

	commits[1].Cached = []orchestration.Cached{cachedFor(Text, Text), cachedFor("k", ""), cachedFor("bad", "a\xffb")}
	appendAll(t, j, commits[1])
	wantCached(t, j, "acme", Epoch, map[string]string{Text: Text, "k": "", "bad": "a\uFFFDb", "other": "-"})
	wantCached(t, j, "acme", end.Add(-1), map[string]string{Text: Text, "k": ""})
	wantCached(t, j, "acme", end, map[string]string{Text: "-", "k": "-"})
	wantCached(t, j, "other", Epoch, map[string]string{Text: "-", "k": "-"})

	again := cachedFor("k", "again")
	again.Expires = end.Add(time.Hour)
	commits[2].Cached = []orchestration.Cached{cachedFor("k", "replaced at once"), again}
	appendAll(t, j, commits[2])
	wantCached(t, j, "acme", end, map[string]string{Text: "-", "k": "again"})
	caching(t, j, "run_other", orchestration.Cached{Tenant: "other", Key: "k", Output: "theirs", Expires: end})
	wantCached(t, j, "acme", Epoch, map[string]string{"k": "again"})
	wantCached(t, j, "other", Epoch, map[string]string{"k": "theirs"})

	// It outlives the run that it is from.
	appendAll(t, j, commits[3:]...)
	if err := j.Delete(ctx, "acme", "run_1"); err != nil {
		t.Fatal(err)
	}
	must(j.Expire(ctx, end.Add(24*time.Hour), 0))(t)
	wantCached(t, j, "acme", Epoch, map[string]string{Text: Text, "k": "again"})
	wantCached(t, j, "other", Epoch, map[string]string{"k": "theirs"})
}

// testCacheBound fills the cache: what was written first makes room.
func testCacheBound(t *testing.T, j journal.Journal) {
	const rows, size = 8, CacheBytes / 8
	row := func(key string) orchestration.Cached {
		return cachedFor(key, strings.Repeat(key, size-len("acme")-len(key)))
	}
	full := map[string]string{}
	for i := range rows {
		c := row(fmt.Sprint(i))
		caching(t, j, "run_"+c.Key, c)
		full[c.Key] = c.Output
	}
	wantCached(t, j, "acme", Epoch, full)

	// One that is too large is not kept, and changes nothing.
	large := row("0")
	large.Output += "0"
	caching(t, j, "run_large", large)
	wantCached(t, j, "acme", Epoch, full)

	// The room that a row gave back is there for another one.
	caching(t, j, "run_again", cachedFor("0", "x"))
	full["0"] = "x"
	wantCached(t, j, "acme", Epoch, full)
	full["8"] = row("8").Output
	full["1"] = "-" // as 0 was written again
	caching(t, j, "run_8", row("8"))
	wantCached(t, j, "acme", Epoch, full)

	// Another tenant's rows count alike, and one commit may bring many.
	var many []orchestration.Cached
	for i := range rows + 2 {
		c := row(string(rune('a' + i)))
		c.Tenant = "evil" // of as many letters
		many = append(many, c)
	}
	caching(t, j, "run_many", many...)
	for key := range full {
		full[key] = "-"
	}
	wantCached(t, j, "acme", Epoch, full)
	wantCached(t, j, "evil", Epoch, map[string]string{"a": "-", "b": "-", "c": many[2].Output, "j": many[9].Output})
}

// testExpireCached removes what is over, more than one transaction's, whose room
// others have then.
func testExpireCached(t *testing.T, j journal.Journal) {
	const rows = 40
	key := func(i int) string { return fmt.Sprintf("%03d", i) }
	size := CacheBytes/rows - len("acme") - len(key(0))
	for i := range rows {
		c := cachedFor(key(i), strings.Repeat("x", size))
		c.Expires = Epoch.Add(time.Duration(rows-i) * time.Second) // what was written last is over first
		caching(t, j, "run_"+key(i), c)
	}
	wantErr(t, "expire before the first", j.ExpireCached(t.Context(), Epoch), nil)
	wantErr(t, "expire all but two", j.ExpireCached(t.Context(), Epoch.Add((rows-2)*time.Second)), nil)
	left := map[string]string{"000": strings.Repeat("x", size), "001": strings.Repeat("x", size), "002": "-", key(rows - 1): "-"}
	wantCached(t, j, "acme", Epoch, left)
	for i := rows; i < 2*rows-2; i++ {
		caching(t, j, "run_"+key(i), cachedFor(key(i), strings.Repeat("x", size)))
	}
	wantCached(t, j, "acme", Epoch, left)
	caching(t, j, "run_last", cachedFor("last", strings.Repeat("x", size)))
	left["000"] = "-"
	wantCached(t, j, "acme", Epoch, left)
}
