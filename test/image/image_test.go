//go:build integration

// Package image holds the Dockerfile to its promises where no Docker is: it
// builds with its very command and runs the result as the image would, as a
// user who may write to the data folder alone.
package image

import (
	"bytes"
	"debug/elf"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/tutti-run/tutti/test/service"
)

// nonroot is the user of that name in distroless images.
const nonroot = 65532

func TestImage(t *testing.T) {
	dockerfile := read(t, "../../Dockerfile")
	root := newRoot(t)
	server := filepath.Join(root, "server")
	build(t, dockerfile, server)

	t.Run("static", func(t *testing.T) { checkStatic(t, server) })
	t.Run("version", func(t *testing.T) {
		if out, err := exec.Command(server, "-version").Output(); err != nil || string(out) != "v1.2.3-image\n" {
			t.Errorf("it says %q: %v", out, err)
		}
	})
	env := environment(t, dockerfile, root)
	t.Run("refuses to serve everybody unasked", func(t *testing.T) {
		out, err := (&exec.Cmd{Path: server, Args: []string{"server"}, Env: env}).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || !bytes.Contains(out, []byte("TUTTI_ALLOW_ANONYMOUS")) {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("serves as nonroot", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("only root can become another user")
		}
		serve(t, root, env)
	})
}

// serve runs the image's server as its user, from start to end.
func serve(t *testing.T, root string, env []string) {
	data := filepath.Join(root, "data")
	if err := os.Chown(data, nonroot, nonroot); err != nil {
		t.Fatal(err)
	}
	as := func(args []string, env ...string) *exec.Cmd {
		return &exec.Cmd{
			Path: filepath.Join(root, "server"), Args: args, Dir: root, Env: env,
			SysProcAttr: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nonroot, Gid: nonroot, NoSetGroups: true}},
		}
	}
	// The last of equal names counts.
	env = append(env, "TUTTI_ADDR=127.0.0.1:0", "TMPDIR="+filepath.Join(root, "none"))
	s := service.Launch(t, as([]string{"server"}, env...))

	if a := s.Get(t, "/readyz"); a.Status != http.StatusOK {
		t.Errorf("/readyz: status %d", a.Status)
	}
	healthcheck := healthcheckOf(t, read(t, "../../Dockerfile"))
	addr := "TUTTI_ADDR=" + strings.TrimPrefix(s.URL, "http://")
	if out, err := as(healthcheck, append(env, addr)...).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", healthcheck, err, out)
	}
	a := s.Post(t, "/v1/runs", `{"task": "Say hello"}`, "Prefer: wait=60")
	var run service.Run
	a.Into(t, &run)
	if run.Status != "succeeded" {
		t.Errorf("the run is %s\n%s", run.Status, a.Body)
	}
	s.Stop()
	if err := as(healthcheck, append(env, addr)...).Run(); err == nil {
		t.Errorf("%s: a server that has ended is healthy", healthcheck)
	}
	if _, err := os.Stat(filepath.Join(data, "tutti.db")); err != nil {
		t.Error(err)
	}
}

// build runs the Dockerfile's build command, for another place.
func build(t *testing.T, dockerfile, binary string) {
	t.Helper()
	command := first(t, dockerfile, `(?m)^RUN (CGO_ENABLED=0 go build .*)$`)
	command = strings.NewReplacer("${VERSION}", "v1.2.3-image", "/out/server", binary).Replace(command)
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir = buildContext(t)
	cmd.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -buildvcs=false") // no .git is in the image's build either
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

// buildContext copies what .dockerignore lets Docker see, as far as we use its
// language: nothing but the paths after "!", and of those none whose last part
// matches a pattern after "**/".
func buildContext(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var hidden, shown []string
	for line := range strings.Lines(read(t, "../../.dockerignore")) {
		line = strings.TrimSpace(line)
		if pattern, ok := strings.CutPrefix(line, "**/"); ok {
			hidden = append(hidden, pattern)
		} else if path, ok := strings.CutPrefix(line, "!"); ok {
			shown = append(shown, path)
		}
	}
	for _, root := range shown {
		err := filepath.WalkDir(filepath.Join("..", "..", root), func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			for _, pattern := range hidden {
				if match, _ := filepath.Match(pattern, entry.Name()); match {
					if entry.IsDir() {
						return fs.SkipDir
					}
					return nil
				}
			}
			to := filepath.Join(dir, strings.TrimPrefix(filepath.ToSlash(path), "../../"))
			if entry.IsDir() {
				return os.MkdirAll(to, 0o755)
			}
			return os.WriteFile(to, []byte(read(t, path)), 0o644)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func checkStatic(t *testing.T, binary string) {
	f, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("it needs an interpreter")
		}
	}
	if libraries, _ := f.ImportedLibraries(); len(libraries) > 0 {
		t.Errorf("it needs %s", libraries)
	}
	if f.Section(".symtab") != nil {
		t.Error("it is not stripped")
	}
}

// environment returns what the Dockerfile's ENV sets, with its folders in root.
func environment(t *testing.T, dockerfile, root string) []string {
	t.Helper()
	lines := first(t, dockerfile, `(?m)^ENV ((?:.*\\\n)*.*)$`)
	env := strings.Fields(strings.ReplaceAll(lines, "\\\n", " "))
	for i := range env {
		env[i] = strings.Replace(env[i], ":/data/", ":"+root+"/data/", 1)
		env[i] = strings.Replace(env[i], "=/workflows", "="+root+"/workflows", 1)
	}
	return env
}

func healthcheckOf(t *testing.T, dockerfile string) []string {
	t.Helper()
	words := strings.Split(first(t, dockerfile, `(?m)^HEALTHCHECK .*CMD \[(.*)\]$`), ", ")
	for i := range words {
		words[i] = strings.Trim(words[i], `"`)
	}
	return words
}

// newRoot makes a folder like the image's root: data is the one in it that its
// user may write to.
func newRoot(t *testing.T) string {
	t.Helper()
	root, err := os.MkdirTemp("", "tutti-image-") //nolint:usetesting // another user must see it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	err = errors.Join(
		os.Chmod(root, 0o755), os.Mkdir(filepath.Join(root, "data"), 0o700),
		os.CopyFS(filepath.Join(root, "workflows"), os.DirFS(filepath.Join(buildContext(t), "workflows"))),
	)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func first(t *testing.T, text, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("the Dockerfile has nothing like %s", pattern)
	}
	return found[1]
}
