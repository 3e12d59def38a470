package journal_test

import (
	"bytes"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
	"github.com/tutti-run/tutti/internal/orchestration/journal/journaltest"
)

var allImages = flag.Bool("images", false, "try every image that a loss of power could leave, not a sample of them")

// What a disk writes whole, or damages when the power goes while it writes.
// Bytes that were not being written it leaves as they are: that is what SQLite
// relies on, too.
const sector = 512

// logHeader is how many bytes SQLite's log begins with, before its frames. They
// are flushed by themselves when the log begins anew.
const logHeader = 32

// A moment is one at which an append had just returned.
type moment struct {
	db, log []byte // the files
	holds   []kept // what could be read
}

// kept is all that the journal has of a run, which may be nothing.
type kept struct {
	Rows       []orchestration.Row
	Events     []orchestration.Event
	Hash       [32]byte // of its key
	Attachment []byte
	Cached     string // by its last commit that did
}

// An image is what a loss of power between two moments may have left.
type image struct {
	name    string
	db, log []byte
	whole   bool // all of the later commit was flushed
}

// Whenever the power goes, and whatever becomes of the sectors that were being
// written, the journal opens, has what was appended, and of the commit under way
// all or nothing.
func TestPowerLoss(t *testing.T) {
	moments := record(t)
	random := rand.New(rand.NewPCG(1, 2))
	began, moved, tried := 0, 0, 0
	file := filepath.Join(t.TempDir(), "tutti.db")
	for i := range moments[1:] {
		before, after := moments[i], moments[i+1]
		if !bytes.Equal(before.log[:logHeader], after.log[:logHeader]) {
			began++
		}
		if !bytes.Equal(before.db, after.db) {
			moved++
		}
		for _, im := range images(before, after, random) {
			if !*allImages && random.IntN(3) > 0 {
				continue
			}
			tried++
			im.try(t, file, before, after)
			if t.Failed() {
				t.Fatalf("commit %d: %s", i+1, im.name)
			}
		}
	}
	if began < 2 || moved < 2 {
		t.Errorf("the log began anew %d times, and was moved into the database %d times", began, moved)
	}
	t.Logf("%d images of %d commits", tried, len(moments)-1)
}

// record appends two runs, with all that can be in a commit, deletes one, and
// returns the moment after each write. Meanwhile the log is moved into the
// database, and begins anew.
func record(t *testing.T) (moments []moment) {
	dsn := newFile(t)
	j := open(t, dsn)
	pragma(t, j, `PRAGMA wal_autocheckpoint = 20`)
	read := func(suffix string) []byte {
		data, err := os.ReadFile(strings.TrimPrefix(dsn, "sqlite:") + suffix)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	note := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
		moments = append(moments, moment{db: read(""), log: read("-wal"), holds: holds(t, j)})
	}
	first, second := journaltest.Story("acme", "run_1"), journaltest.Story("acme", "run_2")
	for i, c := range [][]orchestration.Commit{first, second} {
		c[0].Key = &orchestration.Key{Key: c[0].Row.ID, Hash: [32]byte{byte(i + 1)}}
		c[0].Attachments = [][]byte{bytes.Repeat([]byte{byte(i)}, 3000)}
		for n := range c[:len(c)-1] {
			c[n+1].Cached = []orchestration.Cached{{
				Tenant: "acme", Key: c[0].Row.ID, Output: strings.Repeat(fmt.Sprint(n), 3000), Expires: journaltest.Epoch.Add(time.Hour),
			}}
		}
	}
	note(nil)
	for i := range first {
		note(j.Append(t.Context(), first[i]))
		if i < len(second)/2 {
			note(j.Append(t.Context(), second[i]))
		}
	}
	note(j.Delete(t.Context(), "acme", "run_1"))
	return moments
}

// holds returns what a journal has of the two runs.
func holds(t *testing.T, j journal.Journal) []kept {
	t.Helper()
	all := make([]kept, 2)
	listed, err := j.Rows(t.Context(), "acme", orchestration.Filter{Labels: map[string]string{"team": "growth"}})
	found := func(e error) {
		if !errors.Is(e, orchestration.ErrNotFound) {
			err = errors.Join(err, e)
		}
	}
	for i := range all {
		k, run := &all[i], fmt.Sprint("run_", i+1)
		for _, row := range listed {
			if row.ID == run {
				k.Rows = append(k.Rows, row)
			}
		}
		var failed error
		k.Events, failed = j.Events(t.Context(), run, 0, 0)
		found(failed)
		_, k.Hash, failed = j.Key(t.Context(), "acme", run)
		found(failed)
		k.Attachment, failed = j.Attachment(t.Context(), run, 0)
		found(failed)
		k.Cached, _, failed = j.Cached(t.Context(), "acme", run, journaltest.Epoch)
		found(failed)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// images returns what a loss of power between two moments may have left. SQLite
// writes the log and flushes it, and only then moves it into the database.
func images(before, after moment, random *rand.Rand) []image {
	var all []image
	log := before.log
	if !bytes.Equal(log[:logHeader], after.log[:logHeader]) {
		log = slices.Concat(after.log[:logHeader], log[logHeader:])
		all = append(all, image{name: "the log begins anew", db: before.db, log: log})
	}
	for _, torn := range tear(log, after.log, random) {
		all = append(all, image{"log " + torn.name, before.db, torn.data, bytes.Equal(torn.data, after.log)})
	}
	if !bytes.Equal(before.db, after.db) {
		for _, torn := range tear(before.db, after.db, random) {
			all = append(all, image{"database " + torn.name, torn.data, after.log, true})
		}
	}
	return append(all, image{"after all", after.db, after.log, true})
}

// A torn file is one that may be found after the loss.
type torn struct {
	name string
	data []byte
}

// tear returns files that were being changed from old to fresh when the power
// went: written up to some sector, with a sector that is damaged, with sectors
// written in any order.
func tear(old, fresh []byte, random *rand.Rand) []torn {
	all := []torn{{"whole", fresh}, {"not at all", old}}
	written := writes(old, fresh)
	zeros, garbage := make([]byte, len(fresh)), make([]byte, len(fresh))
	for i := range garbage {
		garbage[i] = byte(random.Uint32())
	}
	earlier := append(bytes.Clone(old), zeros[min(len(old), len(fresh)):]...)
	few := len(written)
	if !*allImages {
		few = min(few, 1)
	}
	for n, i := range random.Perm(len(written)) {
		if n == few {
			break
		}
		w := written[i]
		var late []span
		for _, w := range written {
			if random.IntN(2) == 0 {
				late = append(late, w)
			}
		}
		all = append(all,
			torn{fmt.Sprint("up to ", w.from), slices.Concat(fresh[:w.from], old[min(w.from, len(old)):])},
			torn{fmt.Sprint("zeros after ", w.from), with(fresh, zeros, written[i:]...)},
			torn{fmt.Sprint("zeros at ", w.from), with(fresh, zeros, w)},
			torn{fmt.Sprint("damaged at ", w.from), with(fresh, garbage, w)},
			torn{fmt.Sprint("in another order, ", n), with(fresh, earlier, late...)})
	}
	return all
}

// with returns fresh with some of its sectors as another file has them.
func with(fresh, other []byte, sectors ...span) []byte {
	torn := bytes.Clone(fresh)
	for _, s := range sectors {
		copy(torn[s.from:s.to], other[s.from:s.to])
	}
	return torn
}

// A span is of the bytes of one sector that are written.
type span struct{ from, to int }

// writes returns the sectors in which fresh is not like old.
func writes(old, fresh []byte) (all []span) {
	for from := 0; from < len(fresh); from += sector {
		w := span{from, min(from+sector, len(fresh))}
		for w.from < w.to && w.from < len(old) && old[w.from] == fresh[w.from] {
			w.from++
		}
		if w.from < w.to {
			all = append(all, w)
		}
	}
	return all
}

// try opens the image as a server would that starts after the loss.
func (im *image) try(t *testing.T, file string, before, after moment) {
	t.Helper()
	for suffix, data := range map[string][]byte{"": im.db, "-wal": im.log, "-shm": nil} {
		if err := os.WriteFile(file+suffix, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	j, err := journal.Open(t.Context(), "sqlite:"+file, journal.Options{})
	if err != nil {
		t.Error(err)
		return
	}
	defer j.Close()
	got := holds(t, j)
	for _, k := range got {
		for i, e := range k.Events {
			if e.Seq != int64(i+1) {
				t.Errorf("%s: event %d at place %d", e.Run, e.Seq, i)
			}
		}
		if len(k.Rows) != min(len(k.Events), 1) || len(k.Rows) == 1 && k.Rows[0].Seq != int64(len(k.Events)) {
			t.Errorf("%d events, and rows %+v", len(k.Events), k.Rows)
		}
	}
	if err := journal.Do(t.Context(), j, func(c *sql.Conn) error {
		var said string
		err := c.QueryRowContext(t.Context(), `PRAGMA integrity_check`).Scan(&said)
		if said != "ok" {
			t.Errorf("the database is damaged: %s", said)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	if cmp.Equal(after.holds, got) {
		return
	}
	if im.whole {
		t.Errorf("the commit was flushed (-want +got):\n%s", cmp.Diff(after.holds, got))
		return
	}
	if d := cmp.Diff(before.holds, got); d != "" {
		t.Errorf("neither all nor nothing of the commit (-nothing +got):\n%s", d)
	}
}
