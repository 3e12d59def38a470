//go:build integration

package simulation

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// A bug is a mistake that one could make in the product. Its file says what it
// is, which tests shall notice it if not the simulation, and what it puts in the
// place of what.
type bug struct {
	name, tests, caught string
	files               map[string][]byte // with the mistake, by path from the root
}

// most is how long the tests may take to notice a bug; one that has them hang is
// noticed too.
const most = 2 * time.Minute

// TestBugs makes one mistake after the other, without touching the tree, and
// fails where no test notices, or where the code that was to be spoiled is gone.
func TestBugs(t *testing.T) {
	paths, err := filepath.Glob("testdata/bugs/*.txt")
	if err != nil || len(paths) < 20 {
		t.Fatalf("%d bugs, error %v", len(paths), err)
	}
	var mu sync.Mutex
	var bugs []*bug
	t.Run("all", func(t *testing.T) {
		for _, path := range paths {
			t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
				t.Parallel()
				b := readBug(t, path)
				b.make(t)
				mu.Lock()
				defer mu.Unlock()
				bugs = append(bugs, b)
			})
		}
	})
	slices.SortFunc(bugs, func(a, b *bug) int { return strings.Compare(a.name, b.name) })
	var table strings.Builder
	columns := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	for _, b := range bugs {
		fmt.Fprintf(columns, "%s\t-> %s\n", b.name, b.caught)
	}
	columns.Flush()
	t.Logf("\n%s", &table)
}

const (
	root      = "../.."
	simulated = "./test/simulation"
)

var change = regexp.MustCompile(`(?s)<{7}\n(.*?)={7}\n(.*?)>{7}\n`)

func readBug(t *testing.T, path string) *bug {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	name, rest, _ := strings.Cut(string(archive.Comment), "\n")
	b := &bug{name: name, tests: simulated, files: map[string][]byte{}}
	if tests, ok := strings.CutPrefix(strings.TrimSpace(rest), "tests: "); ok {
		b.tests = tests
	}
	for _, f := range archive.Files {
		source, err := os.ReadFile(filepath.Join(root, f.Name))
		if err != nil {
			t.Fatal(err)
		}
		changes := change.FindAllSubmatch(f.Data, -1)
		if len(changes) == 0 {
			t.Fatalf("%s is not changed", f.Name)
		}
		for _, c := range changes {
			if n := bytes.Count(source, c[1]); n != 1 {
				t.Fatalf("what the bug spoils is %d times in %s:\n%s", n, f.Name, c[1])
			}
			source = bytes.Replace(source, c[1], c[2], 1)
		}
		b.files[f.Name] = source
	}
	return b
}

// make makes the mistake, and has the tests notice it.
func (b *bug) make(t *testing.T) {
	dir := t.TempDir()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for name, source := range b.files {
		original, err := filepath.Abs(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		spoiled := filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(spoiled, source, 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[original] = spoiled
	}
	data, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	args := []string{"test", "-overlay", file, "-failfast", "-timeout", "100s", "-vet", "off", b.tests}
	if b.tests == simulated {
		args = append(args, "-simulation.seeds", "1500") // most are noticed in one of the first
	}
	test := exec.CommandContext(ctx, "go", args...)
	test.Dir = root
	out, err := test.CombinedOutput()
	switch {
	case err == nil:
		t.Errorf("%s: no test of %s noticed", b.name, b.tests)
	case ctx.Err() != nil:
		t.Errorf("%s: the tests of %s came to no end", b.name, b.tests)
	case bytes.Contains(out, []byte("[build failed]")), bytes.Contains(out, []byte("[setup failed]")):
		t.Errorf("%s: it does not compile:\n%s", b.name, out)
	default:
		b.caught = caughtBy(string(out))
	}
}

var (
	failed   = regexp.MustCompile(`--- FAIL: (\S*/\S+)`)
	failedAt = regexp.MustCompile(`--- FAIL: (\S+)`)
	died     = regexp.MustCompile(`"simulation.seed": "(\d+)"`)
	told     = regexp.MustCompile(`_test\.go:\d+: (.*)`)
	panicked = regexp.MustCompile(`(?m)^panic: (.*)`)
)

// caughtBy tells which test failed, and how.
func caughtBy(out string) string {
	var by, how string
	switch {
	case died.MatchString(out):
		by = "seed " + died.FindStringSubmatch(out)[1]
	case failed.MatchString(out):
		by = strings.Replace(failed.FindStringSubmatch(out)[1], "TestSimulation/seed=", "seed ", 1)
	case failedAt.MatchString(out):
		by = failedAt.FindStringSubmatch(out)[1]
	}
	for _, words := range []*regexp.Regexp{panicked, told} {
		if m := words.FindStringSubmatch(out); m != nil {
			how = m[1]
			break
		}
	}
	return fmt.Sprintf("%s: %.110s", by, how)
}
