// SPDX-License-Identifier: Apache-2.0
// Intrusive doubly linked list: no allocation, removal in place. An element may be
// on a list once per Link member it has; it must be unlinked before it dies.
#pragma once

namespace pirn::core {

template <typename T>
struct Link {
  explicit Link(T *owner_in) : owner(owner_in) {}
  Link(const Link &) = delete;
  Link &operator=(const Link &) = delete;

  bool linked() const { return next != nullptr; }
  void unlink() {
    if (!linked()) return;
    previous->next = next;
    next->previous = previous;
    next = previous = nullptr;
  }

  T *owner;
  Link *next = nullptr;
  Link *previous = nullptr;
};

template <typename T, Link<T> T::*Member>
class List {
 public:
  List() : head_(nullptr) { head_.next = head_.previous = &head_; }
  List(const List &) = delete;
  List &operator=(const List &) = delete;

  bool empty() const { return head_.next == &head_; }
  T *front() const { return empty() ? nullptr : head_.next->owner; }
  void push_back(T &item) { insert(item.*Member, *head_.previous); }
  void push_front(T &item) { insert(item.*Member, head_); }
  T *pop_front() {
    T *item = front();
    if (item) (item->*Member).unlink();
    return item;
  }
  // `visit` may unlink the item it is given, but no other.
  template <typename F>
  void each(F &&visit) {
    for (Link<T> *link = head_.next; link != &head_;) {
      Link<T> *following = link->next;
      visit(*link->owner);
      link = following;
    }
  }
  template <typename F>
  bool any(F &&test) const {
    for (Link<T> *link = head_.next; link != &head_; link = link->next)
      if (test(*link->owner)) return true;
    return false;
  }

 private:
  static void insert(Link<T> &link, Link<T> &after) {
    link.previous = &after;
    link.next = after.next;
    after.next->previous = &link;
    after.next = &link;
  }
  Link<T> head_;
};

}  // namespace pirn::core
