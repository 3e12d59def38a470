package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts run the real main. They know some commands beside testscript's own:
//
//	exits CODE server [flag ...]   run it, and want that exit code
//	serve [flag ...]               start it, on a free port, until it takes runs; sets $URL and $ADDR
//	get PATH                       ask it, and print the answer
//	dangle                         begin a request and never end it
//	signal TEXT                    send it SIGTERM, and wait until it logs TEXT
//	hangup TEXT                    send it SIGHUP, and wait until it logs TEXT
//	quit CODE                      send it SIGTERM, and want that exit code; prints what it printed
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		UpdateScripts: os.Getenv("UPDATE") != "",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"serve":  serveInScript,
			"get":    getInScript,
			"dangle": dangle,
			"signal": signalInScript,
			"hangup": hangupInScript,
			"quit":   quitInScript,
		},
	})
}

// A process is a server in the background.
type process struct {
	*exec.Cmd
	stdout, stderr output
	ended          chan struct{}
}

// An output is what a process has written so far.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed at the next write
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
	return o.text.Write(p)
}

func (o *output) read() (text string, changed <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed == nil {
		o.changed = make(chan struct{})
	}
	return o.text.String(), o.changed
}

// until waits until the process has written something that matches, or has
// ended, and returns all that it has written and whether that matches.
func (p *process) until(want *regexp.Regexp) (text string, matches bool) {
	for ended := false; ; {
		out, outChanged := p.stdout.read()
		log, logChanged := p.stderr.read()
		if text := out + log; ended || want.MatchString(text) {
			return text, want.MatchString(text)
		}
		select {
		case <-outChanged:
		case <-logChanged:
		case <-p.ended:
			ended = true
		}
	}
}

var inScripts sync.Map // *testscript.TestScript → *process

func processOf(ts *testscript.TestScript) *process {
	p, ok := inScripts.Load(ts)
	if !ok {
		ts.Fatalf("nothing is served")
	}
	return p.(*process)
}

// begin starts the server.
func begin(ts *testscript.TestScript, args ...string) *process {
	self, err := os.Executable()
	ts.Check(err)
	p := &process{ended: make(chan struct{}), Cmd: &exec.Cmd{
		Path: self, Args: append([]string{"server"}, args...), Dir: ts.Getenv("WORK"), Env: []string{},
	}}
	for _, s := range settings {
		if value := ts.Getenv(s.env); value != "" {
			p.Env = append(p.Env, s.env+"="+value)
		}
	}
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	ts.Check(p.Start())
	go func() {
		_ = p.Wait()
		close(p.ended)
	}()
	ts.Defer(func() {
		_ = p.Process.Kill()
		<-p.ended
	})
	return p
}

// finish waits for the end, and shows what it wrote.
func (p *process) finish(ts *testscript.TestScript, code string) {
	<-p.ended
	out, _ := p.stdout.read()
	log, _ := p.stderr.read()
	_, _ = io.Copy(ts.Stdout(), strings.NewReader(out))
	_, _ = io.Copy(ts.Stderr(), strings.NewReader(log))
	if got := strconv.Itoa(p.ProcessState.ExitCode()); got != code {
		ts.Fatalf("it exits with %s, want %s:\n%s", got, code, log)
	}
}

var ready = regexp.MustCompile(`"msg":"ready"|Serving until Ctrl-C`)

func exits(ts *testscript.TestScript, _ bool, args []string) {
	p := begin(ts, args[2:]...)
	if text, serves := p.until(ready); serves {
		ts.Fatalf("it serves instead:\n%s", text)
	}
	p.finish(ts, args[0])
}

var urlForm = regexp.MustCompile(`http://(127\.0\.0\.1:\d+)`)

func serveInScript(ts *testscript.TestScript, _ bool, args []string) {
	p := begin(ts, append([]string{"-addr", "127.0.0.1:0"}, args...)...)
	inScripts.Store(ts, p)
	ts.Defer(func() { inScripts.Delete(ts) })
	text, _ := p.until(ready)
	address := urlForm.FindStringSubmatch(text)
	if address == nil {
		ts.Fatalf("it does not serve:\n%s", text)
	}
	ts.Setenv("URL", address[0])
	ts.Setenv("ADDR", address[1])
}

func getInScript(ts *testscript.TestScript, _ bool, args []string) {
	resp, err := http.Get(ts.Getenv("URL") + args[0])
	ts.Check(err)
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(ts.Stdout(), resp.Body)
	ts.Check(err)
	http.DefaultClient.CloseIdleConnections()
}

func dangle(ts *testscript.TestScript, _ bool, _ []string) {
	conn, err := net.Dial("tcp", ts.Getenv("ADDR"))
	ts.Check(err)
	ts.Defer(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, "POST /v1/runs HTTP/1.1\r\nHost: tutti\r\nContent-Type: application/json\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")
	ts.Check(err)
	_, err = io.ReadFull(conn, make([]byte, len("HTTP/1.1 100"))) // it waits for the body
	ts.Check(err)
}

func signalInScript(ts *testscript.TestScript, _ bool, args []string) {
	sendInScript(ts, syscall.SIGTERM, args[0])
}

func hangupInScript(ts *testscript.TestScript, _ bool, args []string) {
	sendInScript(ts, syscall.SIGHUP, args[0])
}

func sendInScript(ts *testscript.TestScript, signal syscall.Signal, want string) {
	p := processOf(ts)
	ts.Check(p.Process.Signal(signal))
	if text, logged := p.until(regexp.MustCompile(want)); !logged {
		ts.Fatalf("it never wrote %s:\n%s", want, text)
	}
}

func quitInScript(ts *testscript.TestScript, _ bool, args []string) {
	p := processOf(ts)
	ts.Check(p.Process.Signal(syscall.SIGTERM))
	p.finish(ts, args[0])
}
