package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var measured = report{
	Machine: machine{CPU: "a <quick> one", Cores: 2, Kernel: "6.1", Go: "go1.26", Server: "v1", Date: "2026-01-02"},
	Rounds:  3,
	Figures: []figure{
		{What: "wall over critical path", Values: sample{1.004, 1.001, 1.003}, AtMost: 1.005, Least: 1},
		{What: "  one after the other", Values: sample{3.94}},
		{What: "memory", Unit: "MB", Values: sample{52.31}, AtMost: 40},
	},
}

func TestTable(t *testing.T) {
	var b strings.Builder
	measured.print(&b)
	var rows [][]string
	for line := range strings.Lines(b.String()) {
		rows = append(rows, strings.Fields(line))
	}
	for _, want := range []string{
		"wall over critical path 1.003 1.001 to 1.004 1.005 met",
		"one after the other 3.940",
		"memory 52.3 MB 40.0 MB not met",
	} {
		if !slices.ContainsFunc(rows, func(row []string) bool { return strings.Join(row, " ") == want }) {
			t.Errorf("no row %q in\n%s", want, b.String())
		}
	}
}

// The chart is XML, whatever the machine is called, and each figure with a bound
// has its bar: as long as its share of the bound, in the end cut off.
func TestChart(t *testing.T) {
	var widths, texts []string
	var kinds []string
	d := xml.NewDecoder(bytes.NewReader(measured.chart()))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			attrs := map[string]string{}
			for _, a := range x.Attr {
				attrs[a.Name.Local] = a.Value
			}
			if x.Name.Local == "rect" {
				widths, kinds = append(widths, attrs["width"]), append(kinds, attrs["class"])
			}
		case xml.CharData:
			texts = append(texts, string(x))
		}
	}
	if diff := cmp.Diff([]string{"168", "360"}, widths); diff != "" { // 0.6 of 280, and all there is
		t.Error("bars", diff)
	}
	if diff := cmp.Diff([]string{"bar", "bar beyond"}, kinds); diff != "" {
		t.Error("bars", diff)
	}
	for _, want := range []string{"Wall over critical path", "1.003 of 1.005", "52.3 MB of 40.0 MB", measured.Machine.String()} {
		if !slices.Contains(texts, want) {
			t.Errorf("no text %q in %q", want, texts)
		}
	}
}

// What was written can be drawn again.
func TestReportIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.json")
	if err := measured.write(file); err != nil {
		t.Fatal(err)
	}
	again, err := readReport(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(measured, again); diff != "" {
		t.Error(diff)
	}
}

func TestQuantiles(t *testing.T) {
	var s sample
	for i := range 100 {
		s = append(s, float64(100-i))
	}
	if got := [3]float64{s.median(), s.quantile(0.99), s.low()}; got != [3]float64{50, 99, 1} {
		t.Error(got)
	}
}

// A run's path is its plan, its longest subtask and its synthesis, in whatever
// order its calls were answered.
func TestPaths(t *testing.T) {
	var p paths
	start := time.Now()
	call := func(key string, began, ended time.Duration) {
		p.add([]byte(`{"content":"`+keyMark+key+`] Do it."}`), start.Add(began), start.Add(ended))
	}
	call("1", 0, 10)
	call("2", 5, 7)
	call("1", 20, 25)
	call("1", 21, 51)
	call("1", 22, 23)
	call("2", 8, 9)
	call("1", 60, 67)
	p.add([]byte(`{"content":"of no run"}`), start, start)
	p.add([]byte(keyMark), start, start)
	if took, err := p.take("1"); took != 10+30+7 || err != nil {
		t.Errorf("took %d, error %v", took, err)
	}
	for _, key := range []string{"1", "2", "3"} {
		if took, err := p.take(key); err == nil {
			t.Errorf("run %s took %d", key, took)
		}
	}
}

// The chart of the documents shows the figures beside it.
func TestChartOfTheDocuments(t *testing.T) {
	r, err := readReport("../docs/performance.json")
	if err != nil {
		t.Fatal(err)
	}
	drawn, err := os.ReadFile("../docs/performance.svg")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(r.chart()), string(drawn)); diff != "" {
		t.Errorf("docs/performance.svg is of other figures: go run ./bench -from docs/performance.json -chart docs/performance.svg\n%s", diff)
	}
}
