"""What is asked of the system for large tensors."""

import mmap

import torch

from rnnvanish.engine import large_pages


def test_whole_pages_within_a_large_tensor_are_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(large_pages, "_madvise", lambda: lambda *call: asked.append(call))
    monkeypatch.setattr(mmap, "MADV_HUGEPAGE", 14, raising=False)
    large, small = torch.empty(large_pages.LARGE // 4 + 1000), torch.empty(1000)
    assert large_pages.in_large_pages(large) is large
    assert large_pages.in_large_pages(small) is small
    ((first, size, advice),) = asked
    assert advice == mmap.MADV_HUGEPAGE
    assert first % mmap.PAGESIZE == size % mmap.PAGESIZE == 0
    assert large.data_ptr() <= first < first + size <= large.data_ptr() + large.nbytes
    assert large.nbytes - size < 2 * mmap.PAGESIZE


def test_a_system_without_large_pages_is_asked_for_nothing(monkeypatch):
    monkeypatch.delattr(mmap, "MADV_HUGEPAGE", raising=False)
    large_pages._madvise.cache_clear()
    tensor = torch.ones(large_pages.LARGE // 4)
    assert large_pages.in_large_pages(tensor).eq(1).all()
    large_pages._madvise.cache_clear()
