package main

import (
	"net/http"
	"strconv"
)

// An item is something that the inventory knows.
type item struct {
	ID    string `json:"ci_id"`
	Name  string `json:"name"`
	Owner string `json:"owner"`
}

// A sample is a measurement of an item.
type sample struct {
	Minute int     `json:"minute"`
	Load   float64 `json:"load"` // from 0 to 1
	Errors int     `json:"errors"`
}

// An incident is a failure of a service.
type incident struct {
	ID       string `json:"id"`
	Service  string `json:"service"`
	Ago      int    `json:"minutes_ago"`
	Error    string `json:"error"`
	Affected int    `json:"affected_users"`
}

var (
	inventory = []item{{"ci-17", "checkout", "payments"}, {"ci-23", "search", "discovery"}}

	measured = map[string][]sample{
		"ci-17": {{0, 0.41, 0}, {1, 0.62, 3}, {2, 0.97, 41}, {3, 0.88, 12}},
		"ci-23": {{0, 0.18, 0}, {1, 0.21, 0}, {2, 0.19, 1}},
	}

	incidents = []incident{
		{"inc-1", "checkout", 12, "payment provider timed out", 4100},
		{"inc-2", "search", 35, "index shard 3 unavailable", 90},
		{"inc-3", "archive", 50, "disk full", 4},
		{"inc-4", "search", 240, "slow queries", 700},
	}

	logged = map[string][]string{
		"checkout": {"pool exhausted: 64 of 64 connections in use", "timeout after 30s: POST /v2/charges"},
		"search":   {"shard 3: heartbeat lost", "shard 3: elected a new leader"},
	}

	changed = map[string][]string{"checkout": {"20 minutes before: connection pool reduced from 256 to 64"}}

	brands = map[string]string{
		"nordwind": "Calm and exact. Short sentences. No superlatives, no exclamation marks. Say what a thing does before what it is made of.",
		"salto":    "Quick and warm. Speak to the reader. One joke at most, never about the reader.",
	}
)

func (*stub) findCI(w http.ResponseWriter, r *http.Request) {
	rows := []item{}
	for _, i := range inventory {
		if i.Name == r.FormValue("name") {
			rows = append(rows, i)
		}
	}
	give(w, map[string]any{"rows": rows})
}

func (*stub) samples(w http.ResponseWriter, r *http.Request) {
	found, known := measured[r.PathValue("id")]
	if !known {
		refuse(w, http.StatusNotFound, "nothing was measured of that")
		return
	}
	give(w, map[string]any{"ci_id": r.PathValue("id"), "samples": found})
}

func (*stub) failures(w http.ResponseWriter, r *http.Request) {
	within, err := strconv.Atoi(r.FormValue("since_minutes"))
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, "since_minutes is a number")
		return
	}
	list := []incident{}
	for _, i := range incidents {
		if i.Ago <= within {
			list = append(list, i)
		}
	}
	give(w, map[string]any{"incidents": list})
}

func (*stub) incident(w http.ResponseWriter, r *http.Request) {
	for _, i := range incidents {
		if i.ID == r.PathValue("id") {
			give(w, i)
			return
		}
	}
	refuse(w, http.StatusNotFound, "there is no such incident")
}

func (*stub) logs(w http.ResponseWriter, r *http.Request) {
	lines, known := logged[r.PathValue("name")]
	if !known {
		refuse(w, http.StatusNotFound, "there are no logs of that service")
		return
	}
	give(w, map[string]any{"lines": lines})
}

func (*stub) changes(w http.ResponseWriter, r *http.Request) {
	list, known := changed[r.PathValue("name")]
	if !known {
		refuse(w, http.StatusNotFound, "nothing is known of changes of that service")
		return
	}
	give(w, map[string]any{"changes": list})
}

func (*stub) brand(w http.ResponseWriter, r *http.Request) {
	guide, known := brands[r.PathValue("name")]
	if !known {
		refuse(w, http.StatusNotFound, "there is no such brand")
		return
	}
	give(w, map[string]string{"brand": r.PathValue("name"), "guide": guide})
}
